-- Trains a network with the paper's recipe and saves it with its learning curve.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("train.lua", "Train a VGG, ResNet or ViT on images of your own, on MedMNIST or on phantoms.")
parser:argument("model", "where to save the model (.safetensors; model.safetensors if not given); the curve goes "
  .. "beside it")
  :args "?"
parser:option("--data", "a folder of images (class per folder) or a MedMNIST .npz; phantoms if not given")
parser:option("--arch", "architecture", "resnet"):choices { "vgg", "resnet", "vit" }
parser:option("--size", "side of the images in pixels (MedMNIST: as stored)", "64"):convert(whole)
parser:option("--epochs", "epochs of training", "20"):convert(whole)
parser:option("--batch", "images per step", "32"):convert(whole)
parser:option("--lr", "learning rate of the first epochs", "1e-3"):convert(tonumber)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--workers", "threads that decode images", "1"):convert(whole)
parser:option("--checkpoint", "file to keep the state of the training in, after each epoch")
parser:flag("--resume", "go on from the checkpoint, if it is there")
local args = parser:parse()
args.model = args.model or "model.safetensors"

local data
if not args.data then
  data = sc.data.phantom { size = args.size, count = 600, seed = args.seed }
elseif args.data:find("%.npz$") then
  data = sc.data.medmnist(args.data)
else
  data = sc.data.folder(args.data, { size = args.size, seed = args.seed })
end
print(data)

-- Small ones, for small images; sc.models also has vgg16, resnet50, vit_b_16 and others at full size.
local size, channels, classes, seed = data.size, data.channels, #data.classes, args.seed
local build = {
  vgg = function()
    return sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
      batch_norm = true, size = size, channels = channels, classes = classes, seed = seed }
  end,
  resnet = function()
    return sc.models.resnet { block = "basic", stem = 16, planes = { 16, 32, 64 }, blocks = { 1, 1, 1 }, size = size,
      channels = channels, classes = classes, seed = seed }
  end,
  vit = function()
    return sc.models.vit { patch = size % 8 == 0 and 8 or 4, layers = 4, heads = 4, dim = 64, mlp = 128, size = size,
      channels = channels, classes = classes, seed = seed }
  end,
}
local model = build[args.arch]()
print(model)

local history = sc.train(model, data, { epochs = args.epochs, batch = args.batch, lr = args.lr, seed = seed,
  workers = args.workers, checkpoint = args.checkpoint, resume = args.resume })
print(history)
print(sc.evaluate(model, data.test))

model:save(args.model)
local curve = history:draw((args.model:gsub("%.safetensors$", "")))
print(("Saved %s; the curve is %s"):format(args.model, curve))
