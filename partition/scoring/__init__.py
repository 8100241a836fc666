"""What a placement is worth and what it breaks: cost, transfers, rules, schedules, goals."""
