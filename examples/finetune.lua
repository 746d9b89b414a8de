-- Fine-tunes a checkpoint on images of another number of classes, prunes half of it, and fine-tunes what is left.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("finetune.lua", "A new head, half the neurons pruned, and what a few epochs bring back.")
parser:argument("checkpoint", "weights under torchvision's or timm's names (.pth, .safetensors), or a model that was "
  .. "saved here; a small one that has learned other phantoms if not given"):args "?"
parser:option("--data", "a folder of images (class per folder); phantoms of two classes if not given")
parser:option("--size", "side of the images in pixels", "64"):convert(whole)
parser:option("--channels", "of the images", "1"):convert(whole)
parser:option("--rate", "share of the neurons to prune", "0.5"):convert(tonumber)
parser:option("--method", "how neurons are scored", "lrp")
parser:option("--head-epochs", "epochs for a new head alone", "5"):convert(whole)
parser:option("--epochs", "epochs after pruning", "3"):convert(whole)
parser:option("--lr", "learning rate after pruning", "1e-3"):convert(tonumber)
parser:option("--micro-batch", "samples run at once, where memory is short"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--save", "where to save the pruned model (.safetensors)")
parser:flag("--quiet", "no progress")
local args = parser:parse()

local size, channels, seed = args.size, args.channels, args.seed
local augment = { hflip = 0.5, rotation = 10, scale = { 0.8, 1 }, brightness = 0.1, contrast = 0.1 }

local function train(model, data, opts)
  for key, value in pairs { augment = augment, seed = seed, quiet = args.quiet, micro_batch = args.micro_batch } do
    opts[key] = value
  end
  return sc.train(model, data, opts)
end

local data
if args.data then
  data = sc.data.folder(args.data, { size = size, channels = channels, seed = seed })
else
  data = sc.data.phantom { size = size, channels = channels, count = 400, classes = { "normal", "effusion" },
    seed = seed + 1 }
end
print(data)

-- ---- a checkpoint, whose head may be of other classes ----

local path = args.checkpoint
if not path then
  local others = sc.data.phantom { size = size, channels = channels, count = 400, seed = seed }
  local model = sc.models.vgg { config = { 16, "M", 32, "M", 64, "M" }, hidden = { 64 }, pool = 4, batch_norm = true,
    size = size, channels = channels, classes = #others.classes, seed = seed }
  train(model, others, { epochs = 8 })
  path = os.tmpname()
  model:save(path)
end
local model, notes = sc.load_checkpoint(path, { classes = #data.classes, size = size, channels = channels,
  seed = seed })
if not args.checkpoint then os.remove(path) end

local rows = {}
local function measure(what, one)
  local result = sc.evaluate(one, data.test)
  rows[#rows + 1] = ("%-28s %8.3f %8.3f"):format(what, result.accuracy, result.balanced_accuracy)
end

-- ---- the head alone: everything else is frozen, and costs no more than its way forward ----

local head = model.graph:output()
local replaced = table.concat(notes, "\n"):find "%f[%a]new%f[%A]"
if replaced then
  train(model, data, { epochs = args.head_epochs, lr = 3e-3, schedule = "cosine",
    freeze = function(name) return name:sub(1, #head) ~= head end })
end
measure(replaced and "new head, the rest frozen" or "as given", model)

-- ---- half of the neurons, and a few epochs with what is left ----

local scores = sc.importance(model, data.train, { method = args.method, sampling = "clustering", per_class = 10,
  seed = seed })
local pruned = sc.prune(model, scores, { rate = args.rate })
measure(("%g %% pruned"):format(100 * args.rate), pruned)

-- How many weights are exactly zero: all others become one when they are blown up and cut.
local function zeros(one)
  local count = 0
  for _, tensor in pairs(one:state()) do
    if tensor:dtype() == "float32" then
      count = count + tensor:numel() - (tensor:abs() * 1e30 * 1e30):clamp(0, 1):sum()
    end
  end
  return math.tointeger(count)
end

local before = zeros(pruned)
local history = train(pruned, data, { epochs = args.epochs, optimiser = "adamw", lr = args.lr, schedule = "cosine",
  warmup = 0.5, decay_norms = false, clip = 1, groups = { { match = "^" .. head:gsub("%p", "%%%0"), lr_scale = 3 } } })
measure(("%d epochs later"):format(args.epochs), pruned)

print(history)
print(("\n%-28s %8s %8s"):format("", "accuracy", "balanced"))
print(table.concat(rows, "\n"))
print(("\n%d weights were zero after pruning, %d are after training."):format(before, zeros(pruned)))
if args.save then pruned:save(args.save) end
