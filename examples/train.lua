-- Trains a network with the paper's recipe and saves it with its learning curve.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("train.lua", "Train a VGG, ResNet or ViT on images of your own, on MedMNIST or on phantoms.")
parser:argument("model", "where to save the model (.safetensors; model.safetensors if not given); the curve goes "
  .. "beside it"):args "?"
parser:option("--data", "a folder of images (class per folder), a MedMNIST .npz, a .csv of files and labels, or "
  .. "KIND:PATH such as cpn:folder; phantoms if not given")
parser:option("--arch", "architecture", "resnet"):choices { "vgg", "resnet", "vit" }
parser:option("--size", "side of the images in pixels; 64 if not given (.npz: as stored)"):convert(whole)
parser:option("--channels", "of the images, 1 or 3", "3"):convert(whole)
parser:option("--resize", "how images become square; squash if not given"):choices { "squash", "crop", "pad" }
parser:option("--epochs", "epochs of training", "20"):convert(whole)
parser:option("--batch", "images per step", "32"):convert(whole)
parser:option("--micro-batch", "images run at once: to save memory, and to share batches between the processes of "
  .. "mpirun"):convert(whole)
parser:option("--lr", "learning rate of the first epochs", "1e-3"):convert(tonumber)
parser:option("--patience", "stop after so many epochs without a better one"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--workers", "threads that decode images", "1"):convert(whole)
parser:option("--checkpoint", "file to keep the state of the training in, after each epoch")
parser:flag("--resume", "go on from the checkpoint, if it is there")
local args = parser:parse()

-- Small ones, for small images; sc.models also has vgg16, resnet50, vit_b_16 and others at full size.
local build = {
  vgg = function(data)
    return sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
      batch_norm = true, like = data, seed = args.seed }
  end,
  resnet = function(data)
    return sc.models.resnet { block = "basic", stem = 16, planes = { 16, 32, 64 }, blocks = { 1, 1, 1 }, like = data,
      seed = args.seed }
  end,
  vit = function(data)
    return sc.models.vit { patch = data.size % 8 == 0 and 8 or 4, layers = 4, heads = 4, dim = 64, mlp = 128,
      like = data, seed = args.seed }
  end,
}

sc.main(function()
  sc.report.check()
  local group = sc.mpi.group() -- under mpirun the processes train together, and the first one speaks
  local function say(...) if group.rank == 0 then print(...) end end
  local path = args.model or "model.safetensors"
  if group.rank == 0 then path = sc.output_file(path, { extension = "safetensors" }) end
  local read = { size = args.size, channels = args.channels, resize = args.resize, seed = args.seed,
    quiet = group.rank > 0 }
  if not args.size and not (args.data or ""):find("%.npz$") then read.size = 64 end
  local data
  if args.data then
    data = sc.data.open(args.data, read)
  else
    read.count = 600
    data = sc.data.phantom(read)
  end
  say(data)
  local model = build[args.arch](data)
  say(model)
  local history = sc.train(model, data, { epochs = args.epochs, batch = args.batch, micro_batch = args.micro_batch,
    lr = args.lr, seed = args.seed, patience = args.patience, workers = args.workers, checkpoint = args.checkpoint,
    resume = args.resume, group = group })
  if group.rank > 0 then return end
  model:save(path)
  print(history)
  print(sc.evaluate(model, data.test))
  print(("Saved %s; the curve is %s"):format(path, history:draw((path:gsub("%.%w+$", "")))))
end)
