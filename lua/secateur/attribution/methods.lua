--- The ways of scoring neurons, by name: the attributions, then the baselines to compare them with.
-- @module secateur.attribution.methods
return { "lrp", "dlb", "ig", "gradient_x_input", "random", "magnitude", "activation", "taylor" }
