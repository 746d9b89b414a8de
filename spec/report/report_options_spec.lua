local csv = require "secateur.util.csv"
local errors = require "support.errors"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local interval_rows = require "secateur.report.interval_rows"
local metrics = require "secateur.results.metrics"
local needs = require "support.needs"
local report = require "secateur.report"
local results = require "secateur.results"
local rows = require "support.rows"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

-- Two samplings with two seeds and rows of rate 0.
local function some()
  local all = {}
  for seed = 0, 1 do
    all[#all + 1] = { { [0] = 0, [0.5] = 0.1 + 0.1 * seed }, { seed = seed, sampling = "random" } }
    all[#all + 1] = { { [0] = 0, [0.5] = 0.3 + 0.1 * seed }, { seed = seed, sampling = "mine" } }
  end
  local made = rows.results(all)
  for _, row in ipairs(made) do row.ece = 0.05 + row.drop / 2 end
  return made
end

describe("options of report", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function read(name) return files.read_all(files.join(folder, name)) end
  local function has(name, text) assert.truthy(read(name):find(text, 1, true), text) end
  local function wrong(expected, ...)
    assert.equal("report: " .. expected, errors.text(function(...) report(...) end, ...))
  end

  it("choose the metrics of tables, figures and lossless rates", function()
    needs.gnuplot(pending)
    report(some(), folder, { metric = { "ece", "balanced_accuracy" }, margin = 0.125, band = "range" })
    has("table1.md", "| LRP | random | **0.075 ± 0.03** |")
    has("table1.md", "Rise of ECE")
    has("balanced_accuracy.md", "Drop of balanced accuracy")
    has("lossless.md", "the ECE on the test split rises by at most 0.125, for each of 2 seeds.")
    has("lossless-balanced_accuracy.tex", "balanced accuracy on the test split drops by at most 0.125")
    has("strategies.md", "the smallest mean rise of ECE first")
    has("strategies-balanced_accuracy.md", "the smallest mean drop of balanced accuracy first")
    has("differences-balanced_accuracy.tex", "\\label{tab:differences-balanced-accuracy}")
    has("figures/samplings-ece-cpn-vgg.gp", 'set ylabel "ECE"')
    has("figures/samplings-ece-cpn-vgg.gp", "band: smallest to largest over 2 seeds")
    has("figures/samplings-ece-cpn-vgg.gp", "$p1_2 << EOD\n0 0.05 0.05 0.05\n0.5 0.225 0.2 0.25\nEOD")
    has("index.html", "largest lossless rate: cpn, vgg, LRP, random; ECE rises by at most 0.125 for each of 2 seeds, "
      .. "measured up to rate 0.50")
    has("index.html", '<section id="balanced_accuracy">')
    local lines = csv.records(files.join(folder, "intervals.csv"), { "sampling", "rate", "metric", "mean", "low",
      "interval" })
    assert.equal(8, #lines)
    local line = lines[3]
    assert.same({ "random", "0.5", "ece", "Student's t over seeds, 95 %" }, { line.sampling, line.rate, line.metric,
      line.interval })
    assert.near(0.125, tonumber(line.mean), 1e-12) -- 0.1 and 0.15; half the interval is 12.7062 * 0.025
    assert.near(0.125 - 12.70620473617471 * 0.025, tonumber(line.low), 1e-9)
  end)

  it("give intervals over test images where seeds do not differ", function()
    local one = rows.results { { { [0] = 0, [0.5] = 0.25 } } }
    one[2].drop_low, one[2].drop_high = 0.125, 0.5
    local lines = interval_rows.lines(one, { metrics.of(one, "accuracy"), metrics.of(one, "auroc") })
    assert.equal(5, #lines)
    local heads = {}
    for i, head in ipairs(lines[1]) do heads[head] = i end
    local function values(line, ...)
      local list = {}
      for i, head in ipairs { ... } do list[i] = line[heads[head]] or "" end
      return list
    end
    assert.same({ "accuracy", 1, "", "bootstrap over test images, 95 %", 0.25, 0.125, 0.5 }, values(lines[4], "metric",
      "seeds", "deviation", "interval", "change", "change_low", "change_high"))
    local accuracy = values(lines[4], "low", "mean", "high")
    for i, expected in ipairs { 0.4, 0.65, 0.775 } do assert.near(expected, accuracy[i], 1e-12) end
    assert.same({ "auroc", "", "" }, values(lines[5], "metric", "low", "interval"))
  end)

  it("refuse metrics that are not known, nor measured, nor to be compared", function()
    needs.gnuplot(pending)
    local made = some()
    wrong("metric: expected one that rows have, got 'kl'", made, folder, { metric = "kl" })
    assert.matches("^report: metric%[2%]: expected one of 'accuracy', .*, got 'acuracy'; did you mean 'accuracy'%?$",
      errors.text(function() report(made, folder, { metric = { "ece", "acuracy" } }) end))
    wrong("metric: the ECE of the unpruned models is not known: expected rows of rate 0, got none; add 0 to the rates "
      .. "of the sweep", rows.results { { { [0.5] = 0.1 } } }, folder, { metric = "ece" })
  end)

  it("are looked at before the work", function()
    needs.gnuplot(pending)
    report.check { metric = { "ece", "auroc" } }
    assert.matches("^report.check: metric: expected one of 'accuracy', .*, got 'f1'$",
      errors.text(function() report.check { metric = "f1" } end))
  end)

  it("choose rows, and nothing that was chosen away is missing", function()
    needs.gnuplot(pending)
    report(some(), folder, { where = { sampling = "mine", seed = { 0, 1 }, rate = 0.5 } })
    has("table1.md", "| LRP | mine | **0.350 ± 0.05** |")
    assert.falsy(read("table1.md"):find("random", 1, true))
    assert.falsy(files.is_file(files.join(folder, "missing.csv")))
    assert.falsy(files.is_file(files.join(folder, "strategies.md")))
    has("index.html", "<b>2</b><span>pruned models measured</span>")
    wrong("where: no row has a column 'samplin'; did you mean 'sampling'?", some(), folder,
      { where = { samplin = "x" } })
    wrong("where: expected columns and their values in some of the 8 rows, got none with { sampling = 'x' }", some(),
      folder, { where = { sampling = "x" } })
  end)

  it("choose the sampling that others are compared to", function()
    needs.gnuplot(pending)
    report(some(), folder, { reference = "mine" })
    has("differences.md", "| random | -0.200 | -0.200 | 2 of 2 |")
    wrong("reference: expected one of 'random', 'mine', got 'none'", some(), folder, { reference = "none" })
  end)

  it("name what a mean of fewer seeds is of", function()
    needs.gnuplot(pending)
    local made = some()
    report(results.new { made[1], made[2], made[3], made[4], made[6], made[7] }, folder)
    has("index.html", '<td class="rate" rowspan="2">0.00 (1 of 2 seeds)</td>')
    has("index.html", '<td class="rate" rowspan="2">0.50</td>')
    has("table1.md", "| LRP | mine | 0.300 (1 of 2) |")
    has("figures/samplings-accuracy-cpn-vgg.gp", "band: mean ± one standard deviation over 1 to 2 seeds")
  end)

  it("count no unpruned model as a pruned one, and name what failed or was left out", function()
    needs.gnuplot(pending)
    local made = some()
    made.superseded, made.failed = 3, { { dataset = "cpn", sampling = "own", error = "<b>" } }
    report(made, folder)
    has("index.html", "<b>4</b><span>pruned models measured</span>")
    has("index.html", "1 task failed.")
    has("index.html", "<li>cpn · own: &lt;b&gt;</li>")
    has("index.html", "3 rows of the store are left out")
  end)

  it("of a copy on another process of MPI write nothing", function()
    local made = some()
    made.is_copy = true
    assert.equal(folder .. "/out/index.html", report(made, folder .. "/out"))
    assert.is_false(files.is_dir(folder .. "/out"))
    wrong("unknown option 'x', expected one of: band, bold, gnuplot, heatmaps, history, margin, metric, reference, "
      .. "title, where", made, folder .. "/out", { x = 1 })
  end)

  it("say where gnuplot has no PDF, and draw the others", function()
    needs.gnuplot(pending)
    local program = temporary.write(folder, "program", '#!/bin/sh\n[ "$1" = -e ] && echo "png svg" && exit\n'
      .. 'exec gnuplot "$@"\n')
    assert(os.execute(("chmod +x '%s'"):format(program)))
    assert.is_false(gnuplot.has_terminal(program, "pdfcairo"))
    local said = stderr.text(function() report(some(), folder .. "/out", { gnuplot = program }) end)
    assert.truthy(said:find("has no terminal pdfcairo: figures are SVG and PNG alone", 1, true), said)
    for _, name in ipairs(files.walk(folder .. "/out")) do assert.falsy(name:find "pdf$", name) end
  end)
end)
