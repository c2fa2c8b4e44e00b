# Meta-regression and network meta-analysis by metafor at fixed tau^2: writes models.json beside itself.
#
# At given tau^2 the coefficients are generalised least squares, which the models of bayespip must have as the mode of
# their likelihood. Run: Rscript tests/reference/models.R (a few seconds; metafor, metadat and jsonlite).

suppressMessages({
  library(metafor)
  library(jsonlite)
})

fit_of <- function(fit) list(beta = as.vector(coef(fit)), se = as.vector(fit$se), ll = as.vector(logLik(fit)))

# BCG vaccine: latitude in degrees, method of allocation.
bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
regression <- lapply(c(0, 0.1, 0.5), function(tau2) {
  fit <- rma(yi, vi, mods = ~ ablat + alloc, data = bcg, tau2 = tau2, method = "ML")
  c(list(tau2 = tau2), fit_of(fit))
})

# Diabetes drugs: changes of HbA1c; trials with several arms have the variance of their last in common.
senn <- dat.senn2013
wide <- to.wide(senn, study = "study", grp = "treatment", ref = "placebo", grpvars = c("ni", "mi", "sdi"))
wide <- escalc(measure = "MD", m1i = mi.1, sd1i = sdi.1, n1i = ni.1, m2i = mi.2, sd2i = sdi.2, n2i = ni.2, data = wide)
# Effects of one trial share their second arm, and so its variance.
covariance <- diag(wide$vi)
shared <- wide$sdi.2^2 / wide$ni.2
for (trial in unique(wide$study)) {
  rows <- which(wide$study == trial)
  stopifnot(length(unique(wide$treatment.2[rows])) == 1)
  covariance[rows, rows][row(diag(length(rows))) != col(diag(length(rows)))] <- shared[rows[1]]
}
contrasts <- contrmat(wide, grp1 = "treatment.1", grp2 = "treatment.2", last = "placebo", append = FALSE)
treatments <- setdiff(sort(unique(as.character(senn$treatment))), "placebo")
contrasts <- as.matrix(contrasts)[, treatments]
network <- lapply(c(0.01, 0.1, 0.5), function(tau2) {
  fit <- rma.mv(yi, covariance, mods = contrasts, intercept = FALSE, random = ~ treatment.1 | study, rho = 1/2,
                tau2 = tau2, data = wide, method = "ML")
  c(list(tau2 = tau2), fit_of(fit))
})

write_json(
  list(
    versions = list(R = as.character(getRversion()), metafor = as.character(packageVersion("metafor")),
                    metadat = as.character(packageVersion("metadat"))),
    meta_regression = list(
      source = "Colditz et al. 1994, JAMA 271:698-702 (metadat dat.bcg): log risk ratios, absolute latitude, allocation",
      study = paste(bcg$author, bcg$year), yi = as.vector(bcg$yi), sei = sqrt(bcg$vi), latitude = bcg$ablat,
      allocation = as.character(bcg$alloc), coefficients = c("intercept", "latitude", "random", "systematic"),
      fits = regression
    ),
    network = list(
      source = "Senn et al. 2013, Stat Methods Med Res 22:169-89 (metadat dat.senn2013): HbA1c, arms as published",
      arms = senn[, c("study", "treatment", "ni", "mi", "sdi")], treatments = treatments, fits = network
    )
  ),
  "tests/reference/models.json", digits = NA, auto_unbox = TRUE, pretty = TRUE
)
