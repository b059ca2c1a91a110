"""Workers: what one, two and four of them reach, on each storage, and which process computes how long."""
