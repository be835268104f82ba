# `bench` as process 1, with torch for the CPU. What it reads and writes lies in /bench:
#
#   docker build -t drnn-bench .
#   docker run --rm -v "$PWD:/bench" --user "$(id -u):$(id -g)" drnn-bench run --trials 20
#
# A node of a Ray cluster needs `--build-arg EXTRAS=ray,postgres`.
# `docker stop` sends TERM: the run ends within seconds, and the same command continues it.
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim
ARG EXTRAS=postgres
COPY --from=wheel /wheel/*.whl /source/constraints.txt /tmp/install/
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        -c /tmp/install/constraints.txt "$(echo /tmp/install/*.whl)[$EXTRAS]" \
    && rm -r /tmp/install \
    && useradd --create-home --uid 1000 bench \
    && install --directory --owner bench /bench
# Compiled kernels and data from the hub are kept in the mounted folder, for any user.
ENV XDG_CACHE_HOME=/bench/.cache
USER bench
WORKDIR /bench
ENTRYPOINT ["bench"]
CMD ["--help"]
