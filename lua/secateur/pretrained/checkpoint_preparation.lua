--- How the images were prepared that a file's weights were trained on: what the user says, or a note on what is likely.
-- @module secateur.pretrained.checkpoint_preparation
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local preparation = require "secateur.models.preparation"

local checkpoint_preparation = {}

local fields = { "resize", "crop", "interpolation", "range", "window" }

-- A number for each channel.
local function per_channel(name, value, channels)
  if type(value) ~= "table" then
    local list = {}
    for i = 1, channels do list[i] = value end
    return list
  end
  if #value ~= channels then errors.raise("%s: expected %d numbers, got %d", name, channels, #value) end
  for i, number in ipairs(value) do
    if math.type(number) == nil then errors.raise("%s: expected numbers, got %s at %d", name,
      options.describe(number), i) end
  end
  return value
end

local ending = "; mean and std say it, as of sc.data"
local likely = {
  torchvision = "torchvision's weights expect ImageNet's mean and std, resize = 256 and crop = 224",
  ["nn.Sequential"] = "RadImageNet's weights expect mean = 0.5 and std = 0.5, fastai's bodies ImageNet's",
  timm = "timm's ViTs of augreg, and most others, expect mean = 0.5 and std = 0.5, DeiT's ImageNet's",
  ["Hugging Face"] = { vit = "Hugging Face's ViTs expect mean = 0.5 and std = 0.5",
    resnet = "Hugging Face's ResNets expect ImageNet's mean and std, and a crop of 224" },
}

-- What else is not in a file, and was taken as most have it: a list of parts of a sentence.
local function untold(body, given, model)
  local parts, epsilon = {}, nil
  for _, node in ipairs(model.graph:nodes()) do epsilon = epsilon or node.attrs.eps end
  local said = given.eps or body.defaults.eps -- in a note of its own
  if epsilon and not said then parts[1] = ("the epsilon of norms (%g: eps)"):format(epsilon) end
  if body.family == "vit" and not given.gelu then parts[#parts + 1] = "the kind of GELU (exact: gelu)" end
  if body.family == "resnet" then
    local by_width = model.graph:node "avgpool.max" -- of both kinds, which the head's width tells
    if not given.pool and not by_width then parts[#parts + 1] = "the last pooling (of means: pool)" end
    if model.graph:node "layer1.0.conv3" then parts[#parts + 1] = "strides (in the 3 x 3 convolutions)" end
    parts[#parts + 1] = "blur (none)"
  end
  if not given.kind and model.output_count > 1 then
    parts[#parts + 1] = "what makes probabilities of its logits (softmax: head)"
  end
  if not model.classes then parts[#parts + 1] = "the names of its classes (in the order of its outputs: classes)" end
  return parts
end

-- What is not in the file, with what is known of those who use such names.
local function note_for(body, given, model)
  local parts = untold(body, given, model)
  local others = table.concat(parts, ", ")
  if given.mean then
    return #parts > 0 and ("%s %s not in the file"):format(others, #parts > 1 and "are" or "is")
  end
  local known = likely[body.from]
  if type(known) == "table" then known = known[body.family] end
  if body.family == "resnet" and model.input_shape[2] < 64 then
    known = "MedMNIST's models expect mean = 0.5 and std = 0.5, those for CIFAR its own"
  end
  return "how its images were prepared is not in the file" .. (known and (": " .. known) or "") .. ending
    .. (#parts > 0 and (#parts > 1 and "; nor are " or "; nor is ") or "") .. others
end

--- Notes in a model's info how its images were prepared, where the user says so, and adds a note of what nobody says.
-- @tparam Model model
-- @tab given the user's options
-- @tparam ?table body what secateur.pretrained.layouts found; nil of a file that knows its model
-- @tparam {string,...} notes
function checkpoint_preparation.settle(model, given, body, notes)
  local info, channels = model.info, model.input_shape[1]
  if (given.mean == nil) ~= (given.std == nil) then
    errors.raise("%s: missing beside %s", given.mean and "std" or "mean", given.mean and "mean" or "std")
  end
  local known, some = {}, false
  for key, value in pairs(info.preparation or {}) do known[key] = value end
  for _, key in ipairs(fields) do
    if given[key] ~= nil then known[key], some = given[key], true end
  end
  if given.mean then
    known.mean, known.std = per_channel("mean", given.mean, channels), per_channel("std", given.std, channels)
    info.normalisation, some = { mean = known.mean, std = known.std }, true
  end
  if some then
    preparation.check(known)
    info.preparation = known
  end
  notes[#notes + 1] = body and note_for(body, given, model) or nil
end

return checkpoint_preparation
