"""Monthly statements as files: CSV, XLSX and PDF, in Russian and in English; made again, they are the same bytes."""
