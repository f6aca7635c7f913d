"""What files for people are made of: paper, and the language of words, amounts and dates."""
