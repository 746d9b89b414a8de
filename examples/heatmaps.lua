-- Draws what a model looks at: samples × methods on one sheet (PNG, SVG, PDF), and each picture by itself.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local parser = argparse("heatmaps.lua", "Explain predictions of a model as a sheet of heatmaps.")
parser:argument("model", "what model:save wrote (see train.lua), or a checkpoint (.pth, .safetensors); a small VGG is "
  .. "trained if not given"):args "?"
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--classes", "the names of the checkpoint's classes, in the order of its outputs, separated by commas")
  :convert(words)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
parser:option("--split", "samples of which split", "test"):choices { "train", "val", "test" }
parser:option("--methods", "such as: lrp dlb ig grad_cam; or: all"):args "+"
parser:option("--composite", "composites of LRP by name, such as epsilon_plus_flat, side by side"):args "+"
parser:option("--per-class", "samples of each class", 2):convert(whole)
parser:option("--indices", "these samples of the split instead"):args("+"):convert(whole)
parser:option("--target", "explain this class (its name) instead of the predicted one")
parser:option("--colormap", "colours, such as red_blue, purple_green, orange_blue, bwr, seismic", "red_blue")
parser:option("--normalise-by", "what shares a scale", "panel"):choices { "panel", "method", "row" }
parser:option("--percentile", "percentile of magnitudes that gets full colour", 99.5):convert(tonumber)
parser:option("--alpha", "opacity over the image; 0: without the image", 1):convert(tonumber)
parser:option("--smooth", "spread relevance over so many pixels", 0):convert(tonumber)
parser:option("--size", "side of the images; by default the model's, 64 where one is trained"):convert(whole)
parser:option("--epochs", "epochs where a model is trained", 12):convert(whole)
parser:option("--width", "width of the sheet in millimetres", 180):convert(tonumber)
parser:option("--dpi", "pixels per inch, at least", 300):convert(tonumber)
parser:option("--out", "folder for the pictures", "heatmaps")
local args = parser:parse()

sc.main(function()
  sc.output_folder(args.out)
  local model = args.model
    and sc.load_checkpoint(args.model, { size = args.size, prefix = args.prefix, key = args.key,
      head = args.head })
  if model and args.classes then model.info.classes = args.classes end
  local read = { like = model, size = not model and (args.size or 64) or nil }
  local data = args.data and sc.data.open(args.data, read) or sc.data.phantom(read)
  if not model then
    model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
      batch_norm = true, like = data }
    local upright = { hflip = 0.5, scale = { 0.9, 1 }, brightness = 0.2, contrast = 0.2 } -- as phantoms all stand
    sc.train(model, data, { epochs = args.epochs, augment = args.data and true or upright })
  end

  -- LRP once for each composite named.
  local methods = args.methods or { "lrp", "dlb", "ig" }
  if methods[1] == "all" and not args.composite then methods = "all" end
  if args.composite then
    local list = {}
    for _, name in ipairs(methods) do
      if name ~= "lrp" then list[#list + 1] = name end
      for _, composite in ipairs(name == "lrp" and args.composite or {}) do
        list[#list + 1] = { name = "lrp", label = "LRP " .. composite:gsub("_", " "), composite = composite }
      end
    end
    methods = list
  end

  local target
  for class, name in ipairs(data.classes) do
    if name == args.target then target = class end
  end
  if args.target and not target then parser:error("the classes are " .. table.concat(data.classes, ", ")) end

  local made = sc.heatmaps(model, data[args.split], { dir = args.out, methods = methods, per_class = args.per_class,
    indices = args.indices, target = target, colormap = args.colormap, normalise_by = args.normalise_by,
    percentile = args.percentile, alpha = args.alpha, smooth = args.smooth, sheet_width = args.width, dpi = args.dpi })
  for _, sample in ipairs(made) do print(sample.title) end
  print(("The sheet is %s, also as SVG and PDF; the pictures are beside it."):format(made.sheet.png))
end)
