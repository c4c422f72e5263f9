"""Properties may take their time on a busy machine: what they check is not speed."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
