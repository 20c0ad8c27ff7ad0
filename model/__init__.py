"""What a score is: encoders, alignment, training, evaluation. Knows no index and no HTTP."""
