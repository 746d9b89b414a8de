--- What the families of architectures have in common: options, and constructors that draw initial weights.
--
-- A family is a table: `name`; `graph` (function(opts) -> Graph without initial weights; opts were checked, and may
-- have `room`, see secateur.models.builder); `initial` (rules for initial weights, see
-- secateur.models.initial_weights); `rules` (its options besides the common ones); `free` (those of its options that
-- named architectures leave open); `configs` (named architecture -> options).
-- @module secateur.models.constructors
local errors = require "secateur.util.errors"
local initial_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

local constructors = {}

local function is_data(value)
  return type(value.classes) == "table" and value.size ~= nil and value.channels ~= nil, "a data set or a split"
end

local common = {
  classes = { type = "integer", min = 1, default = 1000 },
  size = { type = "integer", min = 1, default = 224 },
  channels = { type = "integer", min = 1, default = 3 },
  head = { one_of = { "softmax", "sigmoid" }, default = "softmax" },
  seed = { type = "integer", default = 0 },
  like = { type = "table", check = is_data },
}

-- The options given, and what the images of a data set ask for.
local function complete(given)
  local like = type(given) == "table" and given.like
  if type(like) ~= "table" or not is_data(like) then return given end
  local filled = { size = like.size, channels = like.channels, classes = #like.classes,
    head = (like.multi_label or like.train and like.train.multi_label) and "sigmoid" or nil }
  for key, value in pairs(given) do filled[key] = value end
  return filled
end

local function with_common(rules)
  local all = {}
  for key, rule in pairs(common) do all[key] = rule end
  for key, rule in pairs(rules) do all[key] = rule end
  return all
end

local function constructor(family, name, rules, config)
  return function(opts)
    local checked = options.check(name, complete(opts), rules)
    for key, value in pairs(config) do checked[key] = value end
    return errors.within(name, function()
      local graph = family.graph(checked)
      initial_weights(graph, family.initial, checked.seed)
      return model.new(graph, { architecture = name, head = checked.head ~= "softmax" and checked.head or nil })
    end)
  end
end

--- The constructor of a family's models of any size.
-- @tab family
-- @treturn function opts -> Model
function constructors.generic(family)
  return constructor(family, family.name, with_common(family.rules), {})
end

--- The constructor of one of torchvision's architectures.
-- @tab family
-- @string name a key of its `configs`
-- @treturn function opts -> Model
function constructors.named(family, name)
  local free, config = {}, {}
  for _, key in ipairs(family.free) do free[key] = family.rules[key] end
  for key, rule in pairs(family.rules) do config[key] = rule.default end
  for key, value in pairs(family.configs[name]) do config[key] = value end
  for key in pairs(free) do config[key] = nil end
  return constructor(family, name, with_common(free), config)
end

return constructors
