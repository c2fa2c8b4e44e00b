"""The exact engine: posteriors of the normal-normal model by quadrature, one analysis or thousands."""
