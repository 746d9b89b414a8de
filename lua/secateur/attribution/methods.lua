--- The ways of scoring neurons, by name: three attributions, then the baselines to compare them with.
-- @module secateur.attribution.methods
return { "lrp", "dlb", "ig", "random", "magnitude", "activation", "taylor" }
