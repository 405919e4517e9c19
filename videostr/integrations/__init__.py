"""Rewards inside other trainers: TRL, verl, ms-swift. None of them has to be installed to import these modules."""
