-- How good are the explanations of a model, and do they survive pruning? Two tables.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local function share(text)
  local number = tonumber(text)
  if number and number >= 0 and number < 1 then return number end
  return nil, "expected a share in [0, 1), got " .. text
end

local parser = argparse("faithfulness.lua", "Measure methods of explaining, and what pruning leaves of explanations.")
parser:argument("model", "what model:save wrote (see train.lua), or a checkpoint (.pth, .safetensors); a small one is "
  .. "trained if not given"):args "?"
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--size", "side of the images; by default the model's, 64 where one is trained"):convert(whole)
parser:option("--classes", "the names of the checkpoint's classes, in the order of its outputs, separated by commas")
  :convert(words)
parser:option("--prefix", "of the names in the checkpoint that count")
parser:option("--key", "the dictionary in a .pth that counts, such as model_ema")
parser:option("--head", "softmax or sigmoid; or where the head's names begin, if the file has several")
parser:option("--epochs", "epochs where a model is trained", "15"):convert(whole)
parser:option("--method", "a method of sc.attribute; may be repeated; lrp, dlb, ig and gradient_x_input if not given")
  :count "*"
parser:option("--per-class", "samples of each class", "5"):convert(whole)
parser:option("--steps", "stops on the curves", "16"):convert(whole)
parser:option("--rate", "pruning rate that explanations are to survive", "0.3"):convert(share)
parser:option("--seed", "seed of samples, noise and random weights", "0"):convert(whole)
parser:option("--csv", "where the table of measures goes, as CSV")
local args = parser:parse()

local methods = #args.method > 0 and args.method or { "lrp", "dlb", "ig", "gradient_x_input" }

-- A method of one's own is a function; this one looks at the image alone, and the randomisation check finds it out.
local compared = table.move(methods, 1, #methods, 1, {
  edges = function(_, x, _) return (x - x:mean()):abs() end,
})

sc.main(function()
  if args.csv then sc.output_file(args.csv) end
  local model = args.model
    and sc.load_checkpoint(args.model, { size = args.size, prefix = args.prefix, key = args.key,
      head = args.head })
  if model and args.classes then model.info.classes = args.classes end
  local read = { like = model, size = not model and (args.size or 64) or nil }
  local data = args.data and sc.data.open(args.data, read) or sc.data.phantom(read)
  if not model then
    model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M" }, hidden = { 32 }, pool = 4, batch_norm = true,
      like = data }
    sc.train(model, data, { epochs = args.epochs })
  end

  local measured = sc.faithfulness(model, data.test, { methods = compared, per_class = args.per_class,
    steps = args.steps, seed = args.seed })
  print(measured)
  if args.csv then measured:csv(args.csv) end

  local scores = sc.importance(model, data.train, { method = "lrp", seed = args.seed })
  local pruned = sc.prune(model, scores, { rate = args.rate })
  print(("\nPruned at %g: accuracy %.3f, before %.3f"):format(args.rate, sc.evaluate(pruned, data.test).accuracy,
    sc.evaluate(model, data.test).accuracy))
  for _, method in ipairs(methods) do
    print()
    print(sc.agreement(model, pruned, data.test, { method = method, per_class = args.per_class, seed = args.seed }))
  end
end)
