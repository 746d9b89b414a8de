-- What a model says of images, one by one: class and probability, as a table and as CSV, on demand with heatmaps.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local parser = argparse("predict.lua", "Predict the classes of images, of a folder of them, or of a data set.")
parser:argument("model", "what model:save wrote, or a checkpoint (.pth, .safetensors)")
parser:argument("images", "files and folders"):args "*"
parser:option("--data", "a data set instead: a folder of images (class per folder), .npz, .csv, or KIND:PATH")
parser:option("--split", "of the data set", "test"):choices { "train", "val", "test" }
parser:option("--heatmaps", "also draw what the predictions rest on, such as lrp,grad_cam"):convert(words)
parser:option("--dir", "folder of the heatmaps", "heatmaps")
parser:option("--csv", "file for the table")
parser:option("--top", "how many classes to show", "3"):convert(whole)
parser:option("--threshold", "from which probability on a finding counts (sigmoid heads)"):convert(tonumber)
parser:option("--batch", "images at a time", "32"):convert(whole)
parser:option("--size", "side of a checkpoint's images; by default what the file tells, or 224"):convert(whole)
parser:option("--classes", "the names of the checkpoint's classes, in the order of its outputs, separated by commas")
  :convert(words)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
local args = parser:parse()
if (#args.images == 0) == not args.data then parser:error "expected images, or --data" end

sc.main(function()
  if args.csv then sc.output_file(args.csv) end
  local model = sc.load_checkpoint(args.model, { size = args.size, prefix = args.prefix, key = args.key,
      head = args.head })
  if args.classes then model.info.classes = args.classes end
  local images = args.data and sc.data.open(args.data, { like = model })[args.split] or args.images
  local rows = sc.predict(model, images, { heatmaps = args.heatmaps, dir = args.dir, top = args.top,
    threshold = args.threshold, batch = args.batch })
  print(rows)
  if rows.sheet then print("The heatmaps are " .. rows.sheet.png) end
  if args.csv then rows:csv(args.csv) end
end)
