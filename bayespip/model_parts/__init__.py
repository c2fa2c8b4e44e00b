"""What models are made of: likelihoods, distributions and parameterisations that several of them share."""
