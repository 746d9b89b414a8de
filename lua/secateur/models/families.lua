--- The families of architectures; secateur.models.constructors says what one is.
-- @module secateur.models.families
local resnet = require "secateur.models.resnet"
local vgg = require "secateur.models.vgg"
local vit = require "secateur.models.vit"

local families = { list = { vgg, resnet, vit } }

--- The family that an architecture belongs to.
-- @string name as in a model's info: of the family, or one of its `configs`
-- @treturn table|nil
function families.of(name)
  for _, family in ipairs(families.list) do
    if name == family.name or family.configs[name] then return family end
  end
  return nil
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do if b[key] ~= value then return false end end
  return #a == #b
end

--- The name of the architecture that options describe: the family's own where it is none of torchvision's.
-- @tab family
-- @tab opts complete, as graphs are built from
-- @treturn string
function families.name(family, opts)
  if opts.head_layers or opts.head_name or opts.global_pool then return family.name end
  for name, config in pairs(family.configs) do
    local fits = true
    for key, rule in pairs(family.rules) do
      local wanted = config[key]
      if wanted == nil then wanted = rule.default end
      fits = fits and (key == "dropout" or same(wanted, opts[key]))
    end
    if fits then return name end
  end
  return family.name
end

return families
