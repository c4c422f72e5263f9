"""The queue: every waiting conversation in its place, and the plan that keeps the most valuable promises."""
