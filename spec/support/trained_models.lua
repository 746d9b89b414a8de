--- The small trained models that comparisons of pruning and repair are made on, and the images that they are of: three
-- families on each of three sets, at 64 x 64 (PneumoniaMNIST at 32 x 32), about 0.3 to 0.5 M parameters.
local files = require "secateur.util.files"
local sc = require "secateur"

local trained_models = {}

--- Crops, mirror images and slight turns: what images of these kinds allow without becoming others.
trained_models.augment = { scale = { 0.8, 1 }, ratio = { 0.9, 1.1 }, hflip = 0.5, rotation = 10,
  brightness = 0.1, contrast = 0.1 }

-- Data set -> where it is in the folder of all, how it is read, how many epochs each family takes on it, and at which
-- rate where that is not the family's own.
local sets = {
  cpn = { size = 64, epochs = { vgg = 16, resnet = 20, vit = 36 },
    open = function(root) return sc.data.cpn(root .. "/cpn", { size = 64, channels = 1 }) end },
  pneumonia = { size = 32, epochs = { vgg = 5, resnet = 6, vit = 12 }, lr = { vit = 5e-4 },
    open = function(root) return sc.data.medmnist(root .. "/pneumoniamnist.npz", { size = 32, channels = 1 }) end },
  mri = { size = 64, epochs = { vgg = 16, resnet = 10, vit = 40 },
    -- The test folder is of another kind than the training folder, so that what is held out here is of the latter.
    open = function(root) return sc.data.folder(root .. "/mri/Training", { size = 64, channels = 1 }) end },
}

-- Family -> a model without training, and the rate it learns at.
local families = {
  vgg = { lr = 1e-3, make = function(opts)
    opts.config, opts.hidden, opts.pool = { 16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M" }, { 128 }, 2
    opts.batch_norm = true
    return sc.models.vgg(opts)
  end },
  resnet = { lr = 1e-3, make = function(opts)
    opts.block, opts.stem, opts.planes, opts.blocks = "basic", 32, { 32, 64, 96 }, { 2, 2, 2 }
    return sc.models.resnet(opts)
  end },
  vit = { lr = 1e-3, make = function(opts)
    opts.patch, opts.layers, opts.heads, opts.dim, opts.mlp = opts.size // 8, 4, 4, 96, 192
    return sc.models.vit(opts)
  end },
}

--- All of them, in order.
-- @treturn {table,...} each `name` ("cpn-vgg-1"), `set`, `family`, `seed`
function trained_models.list()
  local list = {}
  for _, set in ipairs { "cpn", "pneumonia", "mri" } do
    for seed = 1, 2 do
      for _, family in ipairs { "vgg", "resnet", "vit" } do
        list[#list + 1] = { name = ("%s-%s-%d"):format(set, family, seed), set = set, family = family, seed = seed }
      end
    end
  end
  return list
end

--- The data set of a model.
-- @string set "cpn", "pneumonia" or "mri"
-- @string root the folder that has all sets
-- @treturn Dataset
function trained_models.open(set, root) return sets[set].open(root) end

--- Where a model is kept.
-- @tab entry of `list`
-- @string folder
-- @treturn string
function trained_models.path(entry, folder) return files.join(folder, entry.name .. ".safetensors") end

--- Trains a model.
-- @tab entry of `list`
-- @tparam Dataset data
-- @treturn Model
function trained_models.train(entry, data)
  local family, set = families[entry.family], sets[entry.set]
  local model = family.make { size = data.size, channels = data.channels, classes = #data.classes, seed = entry.seed }
  sc.train(model, data, { epochs = set.epochs[entry.family], batch = 32, optimiser = "adamw", weight_decay = 0.02,
    lr = set.lr and set.lr[entry.family] or family.lr, schedule = "cosine", warmup = 1,
    augment = trained_models.augment, seed = entry.seed, quiet = true })
  return model
end

return trained_models
