-- From a checkpoint and a folder of images to a model that is smaller and faster, and decides as before: no labels, no
-- training. Without arguments it trains a small VGG on phantoms first.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function share(text)
  local number = tonumber(text)
  if number and number >= 0 and number < 1 then return number end
  return nil, "expected a share in [0, 1), got " .. text
end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local parser = argparse("smaller.lua", "Prune, repair and compact a classifier; a table of what it was and is.")
parser:argument("checkpoint", "a VGG, ResNet or ViT (.pth, .safetensors), or what model:save wrote; a small VGG is "
  .. "trained if not given"):args "?"
parser:option("--data", "images of the kind it was trained on: a folder per class, .npz, .csv or KIND:PATH; phantoms "
  .. "if not given")
parser:option("--size", "side of the images it was trained on; by default what the file tells, or 224"):convert(whole)
parser:option("--mean", "of its normalisation, for all channels; as the model knows, or ImageNet's"):convert(tonumber)
parser:option("--std", "of its normalisation"):convert(tonumber)
parser:option("--classes", "the names of the checkpoint's classes, in the order of its outputs, separated by commas")
  :convert(words)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
parser:option("--rate", "share of the neurons to remove", "0.5"):convert(share)
parser:option("--macs", "remove as many as leave this share of the multiply-adds instead"):convert(share)
parser:option("--repair", "how what pruning cost is won back", "least_squares")
  :choices { "least_squares", "batch_norm", "bias", "none" }
parser:option("--calibration", "how many images that goes by", "256"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
parser:option("--out", "the files to write, without extension", "smaller")
local args = parser:parse()

-- A decision is a class, or a list of which findings there are.
local function text(decision) return type(decision) == "table" and table.concat(decision, " ") or decision end

sc.main(function()
  local file, onnx = sc.output_file(args.out .. ".safetensors"), sc.output_file(args.out .. ".onnx")
  local model = args.checkpoint
    and sc.load_checkpoint(args.checkpoint, { size = args.size, prefix = args.prefix, key = args.key,
      head = args.head })
  if model and args.classes then model.info.classes = args.classes end
  local read = { like = model, size = not model and (args.size or 64) or nil, mean = args.mean, std = args.std }
  local data = args.data and sc.data.open(args.data, read) or sc.data.phantom(read)
  if not model then
    model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
      batch_norm = true, like = data, seed = args.seed }
    sc.train(model, data, { epochs = 12, seed = args.seed,
      augment = { hflip = 0.5, scale = { 0.9, 1 }, brightness = 0.2, contrast = 0.2 } })
  end

  -- Under repair a random choice of samples is as good as any, and does not run the model on all images.
  local scores = sc.importance(model, data.train, { sampling = "random", calibration_count = args.calibration,
    seed = args.seed })
  local pruned = sc.prune(model, scores, { rate = not args.macs and args.rate or nil,
    target = args.macs and { macs = args.macs } or nil, repair = args.repair, calibration_count = args.calibration,
    seed = args.seed })
  local small = sc.compact(pruned)
  small:save(file)
  small:export_onnx(onnx, { fold = true })

  local before, after = sc.evaluate(model, data.test), sc.evaluate(small, data.test)
  local same = 0
  for i, decision in ipairs(before.predictions) do
    if text(decision) == text(after.predictions[i]) then same = same + 1 end
  end
  print(sc.cost(small):relative(sc.cost(model)))
  print(("accuracy %.3f, before %.3f; balanced %.3f, before %.3f"):format(after.accuracy, before.accuracy,
    after.balanced_accuracy, before.balanced_accuracy))
  print(("%.1f %% of the %d test images are decided as before"):format(100 * same / before.count, before.count))
  print(("Wrote %s and %s"):format(file, onnx))
end)
