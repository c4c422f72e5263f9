"""Properties may take their time on a busy machine: what they check is not speed."""

from hypothesis import settings

# Fewer than usual, since the suite is run often and draws others each time.
settings.register_profile("patient", deadline=None, max_examples=50)
settings.load_profile("patient")
