"""What a monitoring system is told: every metric in one table (`table`), its text (`exposition`), and its page in the reference
(`page`)."""
