"""The dashboard, in Ray; there is none here."""
