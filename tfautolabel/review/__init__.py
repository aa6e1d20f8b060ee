"""The person in the loop: a session that asks, learns from the answers and says how far the labels are."""
