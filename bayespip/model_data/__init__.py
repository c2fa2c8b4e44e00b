"""What models take instead of effects: arms, outcomes, categories, moderators, bias, networks, a trial to come."""
