--- The strategies of sampling that have a name, see `sample`.
-- @module secateur.pruning.strategies
return {
  clustering = require "secateur.pruning.sampling.clustering",
  confidence = require "secateur.pruning.sampling.confidence",
  coverage = require "secateur.pruning.sampling.coverage",
  entropy = require "secateur.pruning.sampling.entropy",
  herding = require "secateur.pruning.sampling.herding",
  margin = require "secateur.pruning.sampling.margin",
  prototypes = require "secateur.pruning.sampling.prototypes",
  random = require "secateur.pruning.sampling.random",
}
