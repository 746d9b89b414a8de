--- The architectures, by name: a generic constructor per family, and one for each of its named members.
--
-- All take `like`, a data set or split: `size`, `channels`, `classes` and `head` ("sigmoid" where images may have
-- several findings) are its, unless they are given; and `head` ("softmax"; "sigmoid": each output by itself, with
-- `classes = 1` for two classes).
-- @module secateur.models
local constructors = require "secateur.models.constructors"
local families = require "secateur.models.families"
local methods = require "secateur.util.methods"

--- VGG (Simonyan and Zisserman 2015), of any size; `vgg11` to `vgg19`, each also with `_bn`, are torchvision's.
-- @function vgg
-- @also vgg11, vgg13, vgg16, vgg19, vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn
-- @tab opts `classes` (1000), `size` (224), `channels` (3), `dropout` (0.5), `seed` (0: of the initial weights); `vgg`
--   alone also `config` (list of channels, "M" for a 2 x 2 max pool), `hidden` ({4096, 4096}), `pool` (7: side of the
--   map before the classifier), `batch_norm` (false)
-- @treturn Model
-- @usage
-- local model = sc.models.vgg16 { classes = 4 }
-- local small = sc.models.vgg { config = { 16, "M", 32, "M" }, hidden = { 64 }, pool = 2, like = data }

--- ResNet (He et al. 2016), ResNeXt (Xie et al. 2017) and wide ResNet (Zagoruyko and Komodakis 2016), of any size, and
-- torchvision's.
-- @function resnet
-- @also resnet18, resnet34, resnet50, resnet101, resnet152, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d,
-- wide_resnet50_2, wide_resnet101_2
-- @tab opts `classes` (1000), `size` (224), `channels` (3), `seed` (0: of the initial weights); `resnet` alone also
--   `block` ("bottleneck" or "basic"), `blocks` (how many per stage), `planes` (base width of each stage), `stem` (64),
--   `stem_kernel` (7), `stem_stride` (2) and `stem_pool` (true: a max pool behind the stem; images of CIFAR's size want
--   3, 1 and false), `groups` (1) and `width_per_group` (64) of bottlenecks
-- @treturn Model
-- @usage
-- local model = sc.models.resnet50 { classes = 4 }

--- Vision Transformer (Dosovitskiy et al. 2021), of any size, torchvision's, and the small ones of Touvron et al. 2021.
-- @function vit
-- @also vit_ti_16, vit_s_16, vit_b_16, vit_b_32, vit_l_16, vit_l_32, vit_h_14
-- @tab opts `classes` (1000), `size` (224, a multiple of patch), `channels` (3), `dropout` (0), `seed` (0: of the
--   initial weights); `vit` alone also `patch`, `layers`, `heads`, `dim`, `mlp`. The head starts at zero.
-- @treturn Model
-- @usage
-- local model = sc.models.vit_b_16 { classes = 4 }

local models = {}

for _, one in ipairs(families.list) do
  models[one.name] = constructors.generic(one)
  for name in pairs(one.configs) do models[name] = constructors.named(one, name) end
end

return methods.suggest("models", models)
