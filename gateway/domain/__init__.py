"""The vocabulary: what a job action, a job, a vendor request and an error are. Imports nothing of Jobgate."""
