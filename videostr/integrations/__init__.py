"""For other trainers: rewards inside TRL, verl and ms-swift, none of which has to be installed to import them; drop-in
video processors for transformers."""
