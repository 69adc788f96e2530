"""How good trained models are, beside what is published, and user by user beside one of them (`docs/RESULTS.md`)."""
