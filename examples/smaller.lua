-- From a checkpoint and a folder of images to a model that is smaller and faster, and decides as before: no labels, no
-- training. Without arguments it trains a small VGG on phantoms first.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("smaller.lua", "Prune, repair and compact a classifier; a table of what it was and is.")
parser:argument("checkpoint", "a VGG, ResNet or ViT (.pth, .safetensors), or what model:save wrote; a small VGG is "
  .. "trained if not given"):args "?"
parser:option("--data", "images of the kind it was trained on, a folder per class; phantoms if not given")
parser:option("--size", "side of the images it was trained on; by default what the file tells, or 224"):convert(whole)
parser:option("--mean", "of its normalisation, for all channels; ImageNet's if not given"):convert(tonumber)
parser:option("--std", "of its normalisation"):convert(tonumber)
parser:option("--rate", "share of the neurons to remove", "0.5"):convert(tonumber)
parser:option("--macs", "remove as many as leave this share of the multiply-adds instead"):convert(tonumber)
parser:option("--repair", "how what pruning cost is won back", "least_squares")
  :choices { "least_squares", "batch_norm", "bias", "none" }
parser:option("--calibration", "how many images that goes by", "256"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--out", "the files to write, without extension", "smaller")
local args = parser:parse()

local model = args.checkpoint and sc.load_checkpoint(args.checkpoint, { size = args.size })
local read = { size = model and model.input_shape[2] or 64, channels = model and model.input_shape[1],
  mean = args.mean, std = args.std, seed = args.seed }
local data = args.data and sc.data.folder(args.data, read) or sc.data.phantom(read)
if not model then
  model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
    batch_norm = true, size = data.size, channels = data.channels, classes = #data.classes, seed = args.seed }
  sc.train(model, data, { epochs = 12, seed = args.seed,
    augment = { hflip = 0.5, scale = { 0.9, 1 }, brightness = 0.2, contrast = 0.2 } })
end
if #data.classes ~= model.class_count then
  parser:error(("the images are of %d classes, the checkpoint of %d"):format(#data.classes, model.class_count))
end

-- Under repair a random choice of samples is as good as any, and does not run the model on all images.
local scores = sc.importance(model, data.train, { sampling = "random", calibration_count = args.calibration,
  seed = args.seed })
local pruned = sc.prune(model, scores, { rate = not args.macs and args.rate or nil,
  target = args.macs and { macs = args.macs } or nil, repair = args.repair, calibration_count = args.calibration,
  seed = args.seed })
local small = sc.compact(pruned)

small:save(args.out .. ".safetensors")
small:export_onnx(args.out .. ".onnx", { fold = true })

local before, after = sc.evaluate(model, data.test), sc.evaluate(small, data.test)
local same = 0
for i, class in ipairs(before.predictions) do same = same + (class == after.predictions[i] and 1 or 0) end
print(sc.cost(small):relative(sc.cost(model)))
print(("accuracy %.3f, before %.3f; balanced %.3f, before %.3f"):format(after.accuracy, before.accuracy,
  after.balanced_accuracy, before.balanced_accuracy))
print(("%.1f %% of the %d test images are decided as before"):format(100 * same / before.count, before.count))
print(("Wrote %s.safetensors and %s.onnx"):format(args.out, args.out))
