--- What the families of architectures have in common: options, and constructors that draw initial weights.
--
-- A family is a table: `name`; `graph` (function(opts) -> Graph without initial weights; opts were checked, and may
-- have `room`, see secateur.models.builder); `initial` (rules for initial weights, see
-- secateur.models.initial_weights); `rules` (its options besides the common ones); `free` (those of its options that
-- named architectures leave open); `configs` (named architecture -> options).
-- @module secateur.models.constructors
local errors = require "secateur.util.errors"
local init_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

local family = {}

local common = {
  classes = { type = "integer", min = 1, default = 1000 },
  size = { type = "integer", min = 1, default = 224 },
  channels = { type = "integer", min = 1, default = 3 },
  seed = { type = "integer", default = 0 },
}

local function with_common(rules)
  local all = {}
  for key, rule in pairs(common) do all[key] = rule end
  for key, rule in pairs(rules) do all[key] = rule end
  return all
end

local function constructor(self, name, rules, config)
  return function(opts)
    local checked = options.check(name, opts, rules)
    for key, value in pairs(config) do checked[key] = value end
    return errors.within(name, function()
      local graph = self.graph(checked)
      init_weights(graph, self.initial, checked.seed)
      return model.new(graph, { architecture = name })
    end)
  end
end

--- The constructor of a family's models of any size.
-- @tab self the family
-- @treturn function opts -> Model
function family.generic(self)
  return constructor(self, self.name, with_common(self.rules), {})
end

--- The constructor of one of torchvision's architectures.
-- @tab self the family
-- @string name a key of its `configs`
-- @treturn function opts -> Model
function family.named(self, name)
  local free, config = {}, {}
  for _, key in ipairs(self.free) do free[key] = self.rules[key] end
  for key, rule in pairs(self.rules) do config[key] = rule.default end
  for key, value in pairs(self.configs[name]) do config[key] = value end
  for key in pairs(free) do config[key] = nil end
  return constructor(self, name, with_common(free), config)
end

return family
