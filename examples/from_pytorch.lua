-- From a checkpoint of PyTorch to a pruned ONNX file, without Python: the user's part is the fifteen lines at the end.
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

local parser = argparse("from_pytorch.lua", "Prune a classifier that PyTorch has trained, and hand it on as ONNX.")
parser:argument("checkpoint", "what torch.save, safetensors or model:save wrote of a VGG, ResNet or ViT")
parser:argument("onnx", "the file to write; pruned.onnx if not given"):args "?"
parser:option("--data", "the images it was trained on: a folder per class, .npz, .csv or KIND:PATH; phantoms if not "
  .. "given")
parser:option("--size", "side of the images it was trained on; by default what the file tells, or 224"):convert(whole)
parser:option("--classes", "the names of the checkpoint's classes, in the order of its outputs, separated by commas")
  :convert(words)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
parser:option("--rate", "share of the neurons to remove", "0.3"):convert(share)
parser:option("--epochs", "epochs of fine-tuning after that; 0: none", "3"):convert(whole)
local args = parser:parse()

sc.main(function()
  local path = sc.output_file(args.onnx or "pruned.onnx", { extension = "onnx" })
  local model = sc.load_checkpoint(args.checkpoint, { size = args.size, prefix = args.prefix, key = args.key,
      head = args.head })
  if args.classes then model.info.classes = args.classes end
  print(model)
  local data = args.data and sc.data.open(args.data, { like = model }) or sc.data.phantom { like = model }
  print(("accuracy as loaded: %.3f"):format(sc.evaluate(model, data.test).accuracy))

  local scores = sc.importance(model, data.train, { method = "lrp", sampling = "clustering", per_class = 10 })
  local pruned = sc.prune(model, scores, { rate = args.rate })
  print(("without %.0f %% of its neurons: %.3f"):format(100 * args.rate, sc.evaluate(pruned, data.test).accuracy))
  if args.epochs > 0 then
    sc.train(pruned, data, { epochs = args.epochs, lr = 3e-4, optimiser = "adamw", schedule = "cosine" })
    print(("fine-tuned: %.3f"):format(sc.evaluate(pruned, data.test).accuracy))
  end
  pruned:export_onnx(path, { fold = true })
  print("Wrote " .. path)
end)
