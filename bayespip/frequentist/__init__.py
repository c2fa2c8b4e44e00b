"""What the frequentist side computes: RevMan's pooling, estimators of tau^2, Wald and Hartung-Knapp intervals."""
