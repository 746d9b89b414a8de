--- The architectures, by name.
-- @module secateur.models
local resnet = require "secateur.models.resnet"
local vgg = require "secateur.models.vgg"
local vit = require "secateur.models.vit"

local models = {
  vgg = vgg.generic,
  resnet = resnet.generic,
  vit = vit.generic,
  vit_b_16 = vit.named("vit_b_16"),
}

for _, depth in ipairs { 11, 13, 16, 19 } do
  models["vgg" .. depth] = vgg.named(depth, false)
  models["vgg" .. depth .. "_bn"] = vgg.named(depth, true)
end

for _, depth in ipairs { 18, 34, 50 } do
  models["resnet" .. depth] = resnet.named(depth)
end

return models
