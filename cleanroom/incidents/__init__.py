"""The register of incidents: what happened to personal data, what was affected, who has to be told, and until when."""
