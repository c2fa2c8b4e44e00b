# Times metafor and bayesmeta on analyses.csv (analysis, yi, vi); writes one row a package, method and analysis.
# Arguments: folder, scale of the half-normal prior, how often each frequentist fit is repeated.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
scale <- as.numeric(arguments[2])
repeats <- as.integer(arguments[3])
analyses <- split(d <- read.csv(file.path(folder, "analyses.csv")), d$analysis)
rows <- list()
add <- function(package, method, analysis, seconds, ...) {
  rows[[length(rows) + 1]] <<- data.frame(package, method, analysis, seconds, ...)
}
timed <- function(work, times) {
  begin <- proc.time()[["elapsed"]]
  for (i in seq_len(times)) found <- work()
  list(seconds = (proc.time()[["elapsed"]] - begin) / times, found = found)
}
cat("R", as.character(getRversion()), "\n")
if (requireNamespace("metafor", quietly = TRUE)) {
  suppressPackageStartupMessages(library(metafor))
  cat("metafor", as.character(packageVersion("metafor")), "\n")
  for (method in c("REML", "PM")) for (a in names(analyses)) {
    x <- analyses[[a]]
    r <- timed(function() rma(yi, vi, data = x, method = method), repeats)
    add("metafor", method, a, r$seconds, tau2 = r$found$tau2, mu = r$found$beta[1], lower = NA, upper = NA)
  }
} else cat("metafor not installed\n")
if (requireNamespace("bayesmeta", quietly = TRUE)) {
  suppressPackageStartupMessages(library(bayesmeta))
  cat("bayesmeta", as.character(packageVersion("bayesmeta")), "\n")
  prior <- function(t) dhalfnormal(t, scale = scale)
  for (a in names(analyses)[!duplicated(sapply(analyses, nrow))]) {
    x <- analyses[[a]]
    r <- timed(function() bayesmeta(x$yi, sqrt(x$vi), tau.prior = prior, interval.type = "central"), 1)
    s <- r$found$summary
    add("bayesmeta", "half-normal", a, r$seconds, tau2 = s["mean", "tau"], mu = s["median", "mu"],
        lower = s["95% lower", "mu"], upper = s["95% upper", "mu"])
  }
} else cat("bayesmeta not installed\n")
found <- do.call(rbind, rows)
number <- sapply(found, is.numeric)
found[number] <- lapply(found[number], formatC, digits = 17, format = "g")
write.csv(found, file.path(folder, "found.csv"), row.names = FALSE, quote = FALSE)
