# docker build -t mothello .                                   a CPU build of torch: --build-arg TORCH=<wheel or requirement>
# docker run -v "$PWD/runs:/mothello/runs" mothello train +experiment=anchor            --gpus all where there are some
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /mothello
COPY . .
ARG TORCH="torch>=2.11,<2.14"
RUN make setup TORCH="$TORCH"
ENTRYPOINT [".venv/bin/mothello"]
CMD ["--help"]
