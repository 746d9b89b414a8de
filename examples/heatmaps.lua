-- Draws what a model looks at: one sheet per sample, one picture per method.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("heatmaps.lua", "Explain predictions of a saved model as PNG pictures.")
parser:argument("model", "a file written by model:save (see train.lua); a fresh one on phantoms if not given"):args "?"
parser:option("--data", "a folder of images, class per folder; phantoms if not given")
parser:option("--method", "lrp, dlb or ig; may be repeated"):count "*"
parser:option("--per-class", "samples of each class", 2):convert(whole)
parser:option("--out", "folder for the pictures", "heatmaps")
local args = parser:parse()

local model = args.model and sc.load(args.model)
local size = model and model.input_shape[2] or 64
local data = args.data and sc.data.folder(args.data, { size = size }) or sc.data.phantom { size = size }
if not model then
  model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M" }, hidden = { 32 }, pool = 4, batch_norm = true,
    size = size, classes = #data.classes }
  sc.train(model, data, { epochs = 5 })
end

local methods = #args.method > 0 and args.method or { "lrp", "dlb", "ig" }
local sheets = sc.heatmaps(model, data.test, { dir = args.out, methods = methods, per_class = args.per_class })
for _, sheet in ipairs(sheets) do
  print(sheet.title)
  for _, image in ipairs(sheet.images) do print("  " .. image.path) end
end
