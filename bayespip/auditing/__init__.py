"""What a review published against itself: which printed numbers and statements cannot all be true."""

from bayespip.auditing.checks import audit, audit_reported

__all__ = ["audit", "audit_reported"]
