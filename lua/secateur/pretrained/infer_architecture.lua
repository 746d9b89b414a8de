--- Tells from names and shapes alone which architecture a file's weights belong to.
--
-- What shapes cannot tell is taken as torchvision has it, unless an option says otherwise: that a VGG ends with a max
-- pool, where a ResNet strides (and that it does not blur: timm's resnetblur50 has the names of a resnet50), strides
-- and pool of another stem than 7 x 7, the epsilon of norms, the kind of GELU, and how a ViT's width is cut into heads.
-- @module secateur.pretrained.infer_architecture
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local shapes_of = require "secateur.pretrained.architectures.shapes"
local unsupported = require "secateur.pretrained.unsupported"

local infer_architecture = {}

local resnet = require "secateur.pretrained.architectures.resnet"
local vgg = require "secateur.pretrained.architectures.vgg"
local vit = require "secateur.pretrained.architectures.vit"

local supported = "supported are VGG, ResNet (also wide, and ResNeXt) and ViT as torchvision has them, "
  .. "VGG and ViT as timm does, ResNet and ViT as Hugging Face does"

local function check_known(list, shapes, called)
  local what, name = unsupported.find(list)
  if what then
    errors.raise("the weights are of a model with %s ('%s' %s); %s", what, called[name], shapes_of.text(shapes[name]),
      supported)
  end
  for _, each in ipairs(list) do
    for _, size in ipairs(shapes[each]) do
      if size == 0 then errors.raise("'%s': expected elements, got %s", called[each], shapes_of.text(shapes[each])) end
    end
  end
end

local function some(list, shapes, called)
  local shown = {}
  for i = 1, math.min(#list, 6) do
    shown[i] = ("'%s' %s"):format(called[list[i]], shapes_of.text(shapes[list[i]]))
  end
  return table.concat(shown, ", ") .. (#list > 6 and (", and %d more"):format(#list - 6) or "")
end

--- What a file's tensors are weights of. Raises a sentence on what it found where that is no
-- architecture it knows, or not one for certain.
-- @tab shapes torchvision's name of each tensor -> its shape
-- @tab called torchvision's name of each tensor -> the name in the file, for messages
-- @tab[opt] given what the user says that the file does not tell: `heads`, `stem_stride`, `stem_pool`, `size`
-- @treturn table `family`; `opts`, complete but for what the file does not tell: `classes` without a plain head, `size`
--   unless of a ViT; `head`, the name of the last layer; `notes`, what had to be assumed
function infer_architecture.model(shapes, called, given)
  local list, notes = options.sorted_keys(shapes), {}
  check_known(list, shapes, called)
  for _, one in ipairs { vgg, resnet, vit } do
    if one.fits(shapes) then
      local opts, head, features = one.read(shapes, given or {}, notes)
      return { family = one.family, opts = opts, head = head, features = features, notes = notes }
    end
  end
  return errors.raise("expected weights of a known architecture, got %s; %s",
    #list == 0 and "no tensors" or some(list, shapes, called), supported)
end

return infer_architecture
