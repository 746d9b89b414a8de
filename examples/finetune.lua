-- Fine-tunes a checkpoint on images of another number of classes, prunes half of it, and fine-tunes what is left.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function count(text)
  local number = whole(text)
  if number and number >= 0 then return number end
  return nil, "expected a whole number of at least 0, got " .. text
end

local function share(text)
  local number = tonumber(text)
  if number and number >= 0 and number < 1 then return number end
  return nil, "expected a share in [0, 1), got " .. text
end

local parser = argparse("finetune.lua", "A new head, half the neurons pruned, and what a few epochs bring back.")
parser:argument("checkpoint", "weights under torchvision's or timm's names (.pth, .safetensors), or what model:save "
  .. "wrote; a small model that has learned other phantoms if not given"):args "?"
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms of two classes if "
  .. "not given")
parser:option("--size", "side of the images in pixels; the checkpoint's if not given"):convert(whole)
parser:option("--channels", "of the images; the checkpoint's if not given"):convert(whole)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
parser:option("--rate", "share of the neurons to prune", "0.5"):convert(share)
parser:option("--method", "how neurons are scored", "lrp"):choices { "lrp", "dlb", "ig", "gradient_x_input",
  "sensitivity", "taylor", "activation", "magnitude", "random" }
parser:option("--head-epochs", "epochs for a new head alone; 0: none", "5"):convert(count)
parser:option("--epochs", "epochs after pruning; 0: none", "3"):convert(count)
parser:option("--lr", "learning rate after pruning", "1e-3"):convert(tonumber)
parser:option("--micro-batch", "samples run at once, where memory is short"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--save", "where to save the pruned model (.safetensors)")
parser:flag("--quiet", "no progress")
local args = parser:parse()

local function train(model, data, opts)
  opts.augment = { hflip = 0.5, rotation = 10, scale = { 0.8, 1 }, brightness = 0.1, contrast = 0.1 }
  opts.seed, opts.quiet, opts.micro_batch = args.seed, args.quiet, args.micro_batch
  return sc.train(model, data, opts)
end

-- A model of the phantoms, for want of a checkpoint.
local function pretrain()
  local data = sc.data.phantom { size = args.size, channels = args.channels or 1, count = 400, seed = args.seed }
  local model = sc.models.vgg { config = { 16, "M", 32, "M", 64, "M" }, hidden = { 64 }, pool = 4, batch_norm = true,
    like = data, seed = args.seed }
  train(model, data, { epochs = 8 })
  local path = os.tmpname()
  model:save(path)
  return path
end

sc.main(function()
  local path = args.checkpoint or pretrain()
  local _ <close> = setmetatable({}, { __close = function() if not args.checkpoint then os.remove(path) end end })
  local how = { size = args.size, channels = args.channels, prefix = args.prefix, key = args.key, head = args.head,
    seed = args.seed, quiet = true }
  if args.save then sc.output_file(args.save, { extension = "safetensors" }) end
  local like = sc.load_checkpoint(path, how) -- images are prepared as the checkpoint's were
  local names = like.classes
  like.info.classes = nil -- but may be of other classes
  local data = args.data and sc.data.open(args.data, { like = like, seed = args.seed })
    or sc.data.phantom { like = like, count = 400, classes = { "normal", "effusion" }, seed = args.seed + 1 }
  print(data)
  how.classes, how.quiet = #data.classes, args.quiet
  if data.multi_label then how.head = how.head or "sigmoid" end
  if not data.multi_label and like.head == "sigmoid" and like.output_count > 1 then how.head = how.head or "softmax" end
  local model, notes = sc.load_checkpoint(path, how)

  local lines = { ("%-28s %8s %8s"):format("", "accuracy", "balanced") }
  local function measure(what, one)
    local result = sc.evaluate(one, data.test)
    lines[#lines + 1] = ("%-28s %8.3f %8.3f"):format(what, result.accuracy, result.balanced_accuracy)
  end

  -- The head alone, where it is new: all else is frozen, and costs no more than its way forward.
  local head = model.graph:output()
  local is_new = table.concat(notes, "\n"):find "%f[%a]new%f[%A]"
    or table.concat(names or data.classes, "\0") ~= table.concat(data.classes, "\0")
  if is_new and args.head_epochs > 0 then
    train(model, data, { epochs = args.head_epochs, lr = 3e-3, schedule = "cosine",
      freeze = function(name) return name:sub(1, #head) ~= head end })
  end
  measure(is_new and "new head, the rest frozen" or "as given", model)

  -- Half of the neurons, and a few epochs with what is left.
  local scores = sc.importance(model, data.train, { method = args.method, sampling = "clustering", per_class = 10,
    seed = args.seed })
  local pruned = sc.prune(model, scores, { rate = args.rate })
  measure(("%g %% pruned"):format(100 * args.rate), pruned)
  if args.epochs > 0 then
    print((train(pruned, data, { epochs = args.epochs, optimiser = "adamw", lr = args.lr, schedule = "cosine",
      warmup = 0.5, decay_norms = false, clip = 1,
      groups = { { match = "^" .. head:gsub("%p", "%%%0"), lr_scale = 3 } } })))
    measure(("%d epochs later"):format(args.epochs), pruned)
  end
  print(table.concat(lines, "\n"))
  print(pruned)
  if args.save then pruned:save(args.save) end
end)
