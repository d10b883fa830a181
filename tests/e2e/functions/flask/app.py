"""A Flask application: nothing in it knows where it runs."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return "home"


@app.get("/orders/<order_id>")
def order(order_id: str) -> Response:
    return jsonify(id=order_id, query=list(request.args.items(multi=True)))


@app.post("/orders")
def create() -> tuple[Response, int]:
    return jsonify(created=request.get_json()), 201


@app.post("/reverse")
def reverse() -> Response:
    return Response(request.get_data()[::-1], mimetype="application/octet-stream")


@app.get("/cookie")
def cookie() -> Response:
    response = Response(request.cookies.get("seen", "none"), mimetype="text/plain")
    response.set_cookie("seen", "yes")
    return response
