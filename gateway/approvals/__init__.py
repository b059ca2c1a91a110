"""Approvals: policies that ask for a second person, decisions, and emergencies that go without one."""
