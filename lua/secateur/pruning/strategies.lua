--- The strategies of sampling that have a name, see `sample`.
-- @module secateur.pruning.strategies
return {
  clustering = require "secateur.pruning.sampling.clustering",
  confidence = require "secateur.pruning.sampling.confidence",
  random = require "secateur.pruning.sampling.random",
}
