--- ResNet, ResNeXt and wide ResNet.
-- @module secateur.pretrained.architectures.resnet
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local shapes_of = require "secateur.pretrained.architectures.shapes"

local dims, weight = shapes_of.text, shapes_of.weight

local resnet = { family = families.of "resnet" }

--- Whether the names could be those of a ResNet.
-- @tab shapes torchvision's name -> shape
-- @treturn boolean
function resnet.fits(shapes) return shapes["conv1.weight"] and shapes["layer1.0.conv1.weight"] end

-- Planes, groups and width per group of a bottleneck.
local function bottleneck(shapes, name)
  local width = weight(shapes, name .. ".conv1.weight", 4)[1]
  local inputs = weight(shapes, name .. ".conv2.weight", 4)[2]
  local out = weight(shapes, name .. ".conv3.weight", 4)[1]
  local groups, planes = width // math.max(inputs, 1), out // 4
  local per_group = planes > 0 and groups > 0 and width // groups * 64 // planes or 0
  if groups * inputs ~= width or planes * 4 ~= out or per_group < 1 or planes * per_group // 64 * groups ~= width then
    errors.raise("'%s': expected a bottleneck of torchvision's, got %d, %d and %d channels", name, width, inputs, out)
  end
  return planes, groups, per_group
end

-- What a stem is like, whose kernel alone can be seen: torchvision's of 7 x 7, or that of small images.
local function read_stem(opts, kernel, given, notes)
  local small = kernel < 7
  opts.stem_kernel = kernel
  opts.stem_stride = given.stem_stride or (small and 1 or 2)
  if given.stem_pool ~= nil then opts.stem_pool = given.stem_pool else opts.stem_pool = not small end
  if not small then
    if not opts.stem_pool then notes[#notes + 1] = "took the stem as one without a max pool (stem_pool)" end
    return
  end
  opts.size = given.size or 32
  notes[#notes + 1] = ("took the stem of %d x %d as one of stride %d (stem_stride) %s a max pool (stem_pool), and "
    .. "images of %d x %d (size), which the file does not tell"):format(kernel, kernel, opts.stem_stride,
    opts.stem_pool and "with" or "without", opts.size, opts.size)
end

-- Shortcuts that change the channels have weights, unless they pad with zeros.
local function check_shortcuts(shapes, stages)
  local some = stages < 2
  for stage = 2, stages do some = some or shapes[("layer%d.0.downsample.0.weight"):format(stage)] end
  if some then return end
  errors.raise("expected weights of shortcuts, 'layer2.0.downsample.0.weight' or 'layer2.0.shortcut.0.weight', which "
    .. "are not there; shortcuts that pad with zeros (He et al. 2016, option A) are not supported")
end

--- The options that a ResNet of these shapes has. Raises where it is none.
-- @tab shapes torchvision's name -> shape
-- @tab given what the user says that shapes do not tell
-- @tparam {string,...} notes gets a sentence on what was assumed
-- @treturn table options, as its family's graph is built from
-- @treturn string the name of the last layer
-- @treturn ?int features that the last layer gets, where that does not hang on the image
function resnet.read(shapes, given, notes)
  local stem = weight(shapes, "conv1.weight", 4)
  if stem[3] ~= stem[4] or stem[3] % 2 == 0 or stem[3] > 7 then
    errors.raise("'conv1.weight': expected the kernel of a ResNet's stem, 7x7 or less and odd, got %s", dims(stem))
  end
  local deep = shapes["layer1.0.conv3.weight"] ~= nil
  local opts = { block = deep and "bottleneck" or "basic", stem = stem[1], channels = stem[2], blocks = {},
    planes = {}, groups = 1, width_per_group = 64 }
  local stage = 1
  while shapes[("layer%d.0.conv1.weight"):format(stage)] do
    local name, count = ("layer%d."):format(stage), 1
    while shapes[name .. count .. ".conv1.weight"] do count = count + 1 end
    opts.blocks[stage] = count
    if deep then
      local planes, groups, width = bottleneck(shapes, name .. "0")
      if stage > 1 and (groups ~= opts.groups or width ~= opts.width_per_group) then
        errors.raise("'%s0': expected groups x width of %d x %d as in the stages before, got %d x %d", name,
          opts.groups,
          opts.width_per_group, groups, width)
      end
      opts.planes[stage], opts.groups, opts.width_per_group = planes, groups, width
    else
      opts.planes[stage] = weight(shapes, name .. "0.conv1.weight", 4)[1]
    end
    stage = stage + 1
  end
  check_shortcuts(shapes, stage - 1)
  read_stem(opts, stem[3], given, notes)
  opts.classes = shapes["fc.weight"] and weight(shapes, "fc.weight", 2)[1]
  return opts, "fc", opts.planes[#opts.planes] * (deep and 4 or 1)
end

return resnet
