--- The architectures, by name: a generic constructor per family, and one for each of its named members.
-- @module secateur.models
local family = require "secateur.models.family"
local resnet = require "secateur.models.resnet"
local vgg = require "secateur.models.vgg"
local vit = require "secateur.models.vit"

local models = {}

for _, one in ipairs { vgg, resnet, vit } do
  models[one.name] = family.generic(one)
  for name in pairs(one.configs) do models[name] = family.named(one, name) end
end

return models
