--- The architectures, by name: a generic constructor per family, and one for each of its named members.
-- @module secateur.models
local family = require "secateur.models.constructors"
local families = require "secateur.models.families"

local models = {}

for _, one in ipairs(families.list) do
  models[one.name] = family.generic(one)
  for name in pairs(one.configs) do models[name] = family.named(one, name) end
end

return models
